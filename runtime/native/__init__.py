"""The native CPU runtime: hand-written C headers, and what turns a printed plan into a running step."""
