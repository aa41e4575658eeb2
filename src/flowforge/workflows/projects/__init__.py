"""Projects, which hold workflows and in which rights can be given, and sets of workflows in an order."""
