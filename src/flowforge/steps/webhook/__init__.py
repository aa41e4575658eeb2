"""Operations that speak to whoever called a webhook."""
