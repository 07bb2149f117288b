"""What is learned from sounds: their features, and the mix settings that lie between a raw and a mixed one."""
