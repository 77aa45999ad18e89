"""What a page is given: the stored results, loaded and filtered."""
