// Package search indexes FHIR resources in memory and answers R4 searches
// over a set of such indexes: the charts and the directory that one session
// may open.
//
//	space := search.NewSpace()
//	index := space.NewIndex()
//	chart := fhir.Chart{Indexer: index} // what is added is indexed as well
//	query, err := search.Parse("Observation", params, search.Options{Now: now})
//	page, err := query.Run(nil, index)
//
// Every search parameter of R4 4.0.1 and the six that US Core 8.0.0 adds are
// there, as programs generated from the official definitions. What an index
// of the set does not hold cannot be found, counted, chained through or
// sorted by: a search never asks beyond its set.
//
// The package is pure: no clock, no network, no disk. What it does not
// protect: an index holds patient facts in the clear, and who holds the set
// decides who may search it.
package search
