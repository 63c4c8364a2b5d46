"""API objects, as Stripe returns them."""
