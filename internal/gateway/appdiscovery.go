package gateway

import (
	"context"
	"net/http"

	"github.com/abaton-health/abaton/internal/smart"
)

// smartRoutes is the surface for apps. Who may use them is told by each: an app
// by what it signs or has, a browser by the cookie of its ask, a device by what
// it signs.
func smartRoutes() []route {
	form := func(pattern string, handle func(*Gateway, context.Context, *call) (*answer, error)) route {
		return route{method: http.MethodPost, pattern: pattern, policy: open, body: formBody, bodyMax: smart.RequestBytesMax, handle: handle}
	}
	device := func(pattern string, p policy, bodyMax int64, handle func(*Gateway, context.Context, *call) (*answer, error)) route {
		return route{method: http.MethodPost, pattern: pattern, policy: p, body: loginBody, bodyMax: bodyMax, handle: handle}
	}
	get := func(pattern string, handle func(*Gateway, context.Context, *call) (*answer, error)) route {
		return route{method: http.MethodGet, pattern: pattern, policy: open, body: noBody, handle: handle}
	}
	return []route{
		get("/.well-known/smart-configuration", (*Gateway).configuration),
		get("/.well-known/openid-configuration", (*Gateway).configuration),
		get("/jwks", (*Gateway).identityKeys),
		get("/authorize", (*Gateway).authorize),
		form("/authorize", (*Gateway).authorize),
		get("/authorize/{id}", (*Gateway).wait),
		form("/authorize/{id}", (*Gateway).decline),
		form("/token", (*Gateway).exchange),
		form("/revoke", (*Gateway).revoke),
		form("/introspect", (*Gateway).inspect),
		device("/apps/request", open, offerBodyMax, (*Gateway).requested),
		device("/apps/decline", open, offerBodyMax, (*Gateway).declined),
		device("/apps/approve", open, loginBodyMax, (*Gateway).approved),
		device("/apps/lend", open, loginBodyMax, (*Gateway).lendService),
		device("/apps/launch", bySession, offerBodyMax, (*Gateway).launchApp),
	}
}

// discovery is /.well-known/smart-configuration (SMART App Launch 2.2, section
// "Conformance") and what OpenID Connect Discovery adds to it.
type discovery struct {
	Issuer        string   `json:"issuer"`
	Keys          string   `json:"jwks_uri"`
	Authorize     string   `json:"authorization_endpoint"`
	Access        string   `json:"token_endpoint"`
	Revoke        string   `json:"revocation_endpoint"`
	Introspect    string   `json:"introspection_endpoint"`
	GrantTypes    []string `json:"grant_types_supported"`
	ResponseTypes []string `json:"response_types_supported"`
	ResponseModes []string `json:"response_modes_supported"`
	Methods       []string `json:"token_endpoint_auth_methods_supported"`
	Algorithms    []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	Proofs        []string `json:"dpop_signing_alg_values_supported"`
	Identities    []string `json:"id_token_signing_alg_values_supported"`
	Subjects      []string `json:"subject_types_supported"`
	Challenges    []string `json:"code_challenge_methods_supported"`
	Names         bool     `json:"authorization_response_iss_parameter_supported"`
	Scopes        []string `json:"scopes_supported"`
	Capabilities  []string `json:"capabilities"`
}

// configuration answers GET /.well-known/smart-configuration. permission-offline
// is not in it: access is renewed within the session that a device lent, and
// no longer.
func (g *Gateway) configuration(context.Context, *call) (*answer, error) {
	d, err := g.desk()
	if err != nil {
		return nil, err
	}
	return jsonAnswer(discovery{
		Issuer: d.base, Keys: d.base + "/jwks", Authorize: d.base + "/authorize", Access: d.base + "/token",
		Revoke: d.base + "/revoke", Introspect: d.base + "/introspect",
		GrantTypes:    []string{smart.ByCode, smart.ByRenewal, smart.ByService},
		ResponseTypes: []string{"code"}, ResponseModes: []string{"query"},
		Methods:    []string{"none", "private_key_jwt"},
		Algorithms: []string{"ES384", "RS384"}, Proofs: []string{"ES256", "EdDSA"}, Identities: []string{"ES256"},
		Subjects: []string{"pairwise"}, Challenges: []string{"S256"}, Names: true,
		Scopes: []string{smart.OpenID, smart.FHIRWho, smart.Launch, smart.LaunchPatient, smart.Online, smart.Offline,
			"patient/*.cruds", "user/*.cruds", "system/*.cruds"},
		Capabilities: []string{"launch-ehr", "launch-standalone", "authorize-post", "client-public", "client-confidential-asymmetric",
			"sso-openid-connect", "context-banner", "context-ehr-patient", "context-standalone-patient", "permission-online",
			"permission-patient", "permission-user", "permission-v1", "permission-v2"},
	})
}

// identityKeys answers GET /jwks: what id_tokens are verified with.
func (g *Gateway) identityKeys(context.Context, *call) (*answer, error) {
	d, err := g.desk()
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusOK, content: contentJSON, body: d.signer.Keys()}, nil
}
