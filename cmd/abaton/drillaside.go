package main

// asideDrills come from outside and leave the network whole.
func asideDrills() []drill { return nil }
