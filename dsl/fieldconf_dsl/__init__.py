"""The language of Fieldconf: text in, model out."""
