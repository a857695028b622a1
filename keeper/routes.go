package keeper

// The routes of a keeper (PROTOCOL.md#routes). Each POST takes and gives
// application/cbor; the C2SP routes are those of tlog-tiles and tlog-witness.
const (
	RouteSession   = "/v1/session"   // session.Signed -> Signed Opened
	RouteRequest   = "/v1/request"   // Signed session.Request -> SealedReply
	RouteDeposit   = "/v1/deposit"   // Deposits -> Results (Signed Receipt each)
	RoutePrepare   = "/v1/prepare"   // Prepares -> Results (Signed Receipt each)
	RouteCommit    = "/v1/commit"    // Commits -> Results (empty OK each)
	RouteEvents    = "/v1/events"    // Events -> Results (vote signature each)
	RouteCertify   = "/v1/certify"   // Certificates -> Results (empty OK each)
	RouteNotices   = "/v1/notices"   // Notices -> Results (empty OK each)
	RouteQuery     = "/v1/query"     // Signed Query -> Signed Statements
	RouteRepair    = "/v1/repair"    // Signed Repair -> Repaired
	RouteRelations = "/v1/relations" // Signed relation.Relations -> Results (empty OK each entry)
	RouteVerdict   = "/v1/verdict"   // Verdicts -> Results (empty OK each)
	RouteWitness   = "/add-checkpoint"
	RouteEvidence  = "/checkpoint"
	RouteTiles     = "/tile/"
	// RouteWitnessed and a keeper's index: the newest checkpoint of its ledger
	// that the keeper asked has cosigned, a signed note.
	RouteWitnessed = "/witnessed/"
)
