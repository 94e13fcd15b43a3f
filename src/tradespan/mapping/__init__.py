"""Zero code: tradespan.yaml maps the functions and routes of an unchanged service to stages."""
