"""Held-out proof of the asker: does it write follow-ups as the people it learned from do?"""
