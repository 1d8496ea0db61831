"""Pure functions from rows to text: `table`, and what stands on it for each command; colours come from
`paint`."""
