"""Follow-on rules: what is submitted by itself of records that complete."""
