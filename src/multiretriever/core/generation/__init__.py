"""Writers of playbooks and code."""
