"""Share links: the photographer's side in `service`, the visitor's in `visits`."""
