package gateway

import (
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
)

// Every maximum of the gateway, its unit and why that number.
const (
	// resourceBodyMax caps the body that creates or updates one resource, in
	// bytes: what one record may hold, less the envelope.
	resourceBodyMax = fhir.ResourceBytesMax
	// bundleBodyMax caps a Bundle, in bytes; the parser's own limit.
	bundleBodyMax = fhir.DocumentBytesMax
	// formBodyMax caps the body of POST _search, in bytes.
	formBodyMax = fhir.QueryBytesMax
	// loginBodyMax caps the body of a login, in bytes: the seeds of ten
	// thousand patients with ten lines each.
	loginBodyMax = 24 << 20
	// offerBodyMax caps the body of a request for an offer, in bytes.
	offerBodyMax = 1 << 10
	// bodiesMax is how many bytes of request bodies are worked on at once; a
	// tree over a hostile body can take twelve times its length.
	bodiesMax = 2 * bundleBodyMax

	// accessBytes is the length of an access value, in bytes.
	accessBytes = 32
	// accessMax is how long an access value lives; the session's end comes
	// first if it is earlier.
	accessMax = abaton.GatewayAccessMax
	// sessionsMax is how many people may be signed in at once; each costs an
	// ML-KEM key, the seeds and the charts in use.
	sessionsMax = 512
	// offersMax is how many offers may be open at once; an offer costs its
	// caller nothing, so they are few and short-lived.
	offersMax = 256
	// checkpointsFresh is how long fetched checkpoints serve for offers, so
	// that sign-ins at a clinic's door do not become a load on keepers.
	checkpointsFresh = 5 * time.Second
	// offerLife is how long a device has to answer an offer. It is far below
	// CheckpointAgeMax, so that the checkpoints in it are still fresh.
	offerLife = 2 * time.Minute
	// heldMax is how many (patient, grant) pairs one session may bring.
	heldMax = 20_000

	// asksMax is how many apps may wait for a person at once, and how many
	// launches be open; a request costs its sender nothing.
	asksMax = 512
	// usesMax is how many proofs and assertions are remembered at once: each
	// for two minutes, five at most. Beyond it they are refused.
	usesMax = 200_000
	// appAccessMax is how long an app's access value lives that can be
	// renewed; the lent session's end comes first if it is earlier.
	appAccessMax = 10 * time.Minute
	// waitHold is how long a page's request for news is held; a gateway that
	// stops waits for it.
	waitHold = 10 * time.Second
	// viewsMax is how many combinations of scopes and keys one service uses
	// under one lent session; each has charts of its own.
	viewsMax = 8

	// lease is how long a chart in memory is read without asking the keepers
	// again.
	lease = 60 * time.Second
	// chartsMax is how many charts one session keeps in memory.
	chartsMax = 16
	// chartBytesMax is how many bytes of records one session keeps, over all
	// its charts but the newest.
	chartBytesMax = 96 << 20
	// searchPatientsMax is how many patients' indexes are opened to find a
	// resource whose id does not name its patient.
	searchPatientsMax = 64

	// sweepInterval is how often what has expired is dropped from memory even
	// if nobody asks for it.
	sweepInterval = 15 * time.Second
	// checkpointWait is how long an offer waits for the keepers' checkpoints.
	checkpointWait = 3 * time.Second
)
