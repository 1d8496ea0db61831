"""Discovery: which endpoints a name has, and how its traffic is to be treated, as streams."""
