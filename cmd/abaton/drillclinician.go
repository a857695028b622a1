package main

// clinicianDrills are thefts and abuses with both locks in hand.
func clinicianDrills() []drill { return nil }
