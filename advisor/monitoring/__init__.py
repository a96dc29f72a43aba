"""What a monitor concludes from its windows: drift, leaks, traffic that was not tuned for."""
