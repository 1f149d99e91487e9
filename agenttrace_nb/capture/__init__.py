"""The Agents SDK to the journal, through the SDK's extension points."""
