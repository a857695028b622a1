package session

// ParseBundles is the decoder behind OpenSeeds.
var ParseBundles = parseBundles
