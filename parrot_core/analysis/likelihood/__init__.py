"""How likely models find given answers, and preference accuracy from it."""
