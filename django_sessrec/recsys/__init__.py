"""Engine 1: session recommenders on NumPy alone, without Django, torch or Celery."""
