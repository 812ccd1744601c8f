//! Every broker and topic key, declared once.
