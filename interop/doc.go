// Package interop reads Abaton's ledger with somebody else's code: the client
// and the checker of github.com/transparency-dev/tessera, over HTTP, as any
// C2SP monitor would. Its folders smart and clients hold journeys of FHIR and
// SMART clients in Node. It is a module of its own so that the keeper's
// dependencies stay few; it holds tests only.
package interop
