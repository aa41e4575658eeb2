"""What many processes need of one another: a bell, a leader, pages that tell how each of them is."""
