package smart

import "time"

// Every maximum of this package, its unit and why that number.
const (
	// ScopeBytesMax caps a scope parameter, in bytes: one granular scope for
	// each of forty types.
	ScopeBytesMax = 4 << 10
	// scopesMax is how many scopes one request may name.
	scopesMax = 64
	// scopeParamsMax is how many parameters one granular scope may have.
	scopeParamsMax = 4
	// ParameterBytesMax caps any other parameter of a request, in bytes.
	ParameterBytesMax = 2 << 10
	// RequestBytesMax caps the query or body of a request, in bytes.
	RequestBytesMax = 16 << 10
	// AppsMax is how many apps a registry may hold.
	AppsMax = 1000
	// redirectsMax is how many redirect URIs, and how many origins, an app has.
	redirectsMax = 32
	// keysMax is how many keys an app's key set has.
	keysMax = 16
	// rsaBitsMin is the least size of an app's RSA key (NIST SP 800-131A).
	rsaBitsMin = 2048
	// idBytesMax bounds a jti and a kid, in bytes.
	idBytesMax = 256
	// proofBytesMax caps a DPoP proof, in bytes: a header with a P-256 key and
	// four claims take about 700.
	proofBytesMax = 4 << 10
	// assertionBytesMax caps a client assertion, in bytes: RSA-4096 takes 700
	// for its signature alone.
	assertionBytesMax = 8 << 10

	// CodeLife is how long an authorization code can be exchanged: the
	// redirect is on its way (RFC 6749, section 4.1.2, wants it short).
	CodeLife = 60 * time.Second
	// AskLife is how long a person has to decide.
	AskLife = 5 * time.Minute
	// ProofWindow is how far a proof's iat may be from now: clocks differ, and
	// the jti of each proof is remembered for that long.
	ProofWindow = 60 * time.Second
	// AssertionLifeMax is how far the end of a client assertion may lie ahead
	// (SMART Backend Services: no more than five minutes).
	AssertionLifeMax = 5 * time.Minute
	// IdentityLife is how long an id_token holds: it is read at once.
	IdentityLife = 5 * time.Minute
)
