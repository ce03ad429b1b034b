"""Engines answer prompts. Each implements `interface.Engine`; the config names one."""
