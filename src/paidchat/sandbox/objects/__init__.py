"""API objects, as Stripe shows them."""
