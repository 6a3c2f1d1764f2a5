"""Ops as people read them: definitions and rules as formulas, and a page for each op"""
