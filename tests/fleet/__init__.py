"""Several hosts on one machine, with the real Ray and real faults."""
