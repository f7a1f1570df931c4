"""Tests of callboard; the tree mirrors the packages."""
