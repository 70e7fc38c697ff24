"""The report as a page: one HTML file with charts that needs nothing beside itself."""
