"""Operations called alone, over HTTP: the same that steps do."""
