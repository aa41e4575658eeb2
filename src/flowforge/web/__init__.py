"""What every HTTP endpoint shares: one error form, strict JSON, one guard, lists by cursor. Knows no domain."""
