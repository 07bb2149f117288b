"""A comparison of many models on one table, in which nothing that is fitted sees the songs it is judged by."""
