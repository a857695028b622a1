// Package smart holds the rules of SMART App Launch 2.2 and of the OAuth 2
// texts beneath it: scopes and what they cover, the registry of apps, the
// requests of an app and how they are answered, proofs of possession. It is
// pure: who calls it brings the time, and keeps the state.
//
//	apps, err := smart.ParseRegistry(text, readFile)
//	asked, err := apps.Authorize(query, base)         // GET /authorize
//	...a person's device lends a session...
//	err = code.Redeem(request, now)                   // POST /token
//	if scopes.Covers(smart.Read, where, resource) { ... }
//
// A scope never gives a right: it takes away from what a person's device lent.
// What this package does not protect is an app that is allowed to read: what
// it has read, it has.
package smart

// Code is an error code of OAuth: RFC 6749, sections 4.1.2.1 and 5.2.
type Code string

// The codes that are used here.
const (
	InvalidRequest       Code = "invalid_request"
	InvalidClient        Code = "invalid_client"
	InvalidGrant         Code = "invalid_grant"
	InvalidScope         Code = "invalid_scope"
	UnauthorizedClient   Code = "unauthorized_client"
	UnsupportedGrantType Code = "unsupported_grant_type"
	UnsupportedResponse  Code = "unsupported_response_type"
	AccessDenied         Code = "access_denied"
	RequestNotSupported  Code = "request_not_supported" // OpenID Connect Core, section 3.1.2.6
	InvalidProof         Code = "invalid_dpop_proof"    // RFC 9449, section 5
	Unavailable          Code = "temporarily_unavailable"
)

// Error is a refusal that an app is told about. Says is fixed text that says
// what to do and holds nothing the caller sent.
type Error struct {
	Code Code
	Says string
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Says }

func refuse(c Code, says string) *Error { return &Error{Code: c, Says: says} }
