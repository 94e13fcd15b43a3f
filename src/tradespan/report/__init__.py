"""What the figures mean and how they look: journeys, segments, figures, table, waterfall."""
