"""The claims of the study, and what the stored figures say of them."""
