package gateway

import (
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/cda"
	"github.com/abaton-health/abaton/internal/fhir"
)

// Every maximum of the gateway, its unit and why that number.
const (
	// resourceBodyMax caps the body that creates or updates one resource, in
	// bytes: what one record may hold, less the envelope.
	resourceBodyMax = fhir.ResourceBytesMax
	// bundleBodyMax caps a Bundle, in bytes; the parser's own limit.
	bundleBodyMax = fhir.DocumentBytesMax
	// documentBodyMax caps a document, in bytes; the reader's own limit.
	documentBodyMax = cda.DocumentBytesMax
	// formBodyMax caps the body of POST _search, in bytes.
	formBodyMax = fhir.QueryBytesMax
	// loginBodyMax caps the body of a login, in bytes: the seeds of ten
	// thousand patients with ten lines each.
	loginBodyMax = 24 << 20
	// offerBodyMax caps the body of a request for an offer, in bytes.
	offerBodyMax = 1 << 10
	// enrolBodyMax caps an enrolment, in bytes: an event of the largest size
	// and its proofs in base64url.
	enrolBodyMax = 288 << 10
	// attestBodyMax caps an attestation, in bytes: the largest object and its
	// client data in base64url.
	attestBodyMax = 32 << 10
	// stepUpBodyMax caps a step-up, in bytes: 32 lines and an assertion.
	stepUpBodyMax = 16 << 10
	// pleaBytesMax caps a recover event that helpers are asked to prove, and
	// what one of them gives, in bytes: each has one box key or box in it.
	pleaBytesMax = 4 << 10
	// pleasMax is how many pleas for help are kept; each costs a small file.
	pleasMax = 4096
	// pleasOfOneMax is how many of them are for one record, as many as
	// recoveries of one escrow may be under way.
	pleasOfOneMax = actor.RecoveriesMax
	// pleaLife is how long a plea is kept: helpers are on holiday.
	pleaLife = 30 * 24 * time.Hour
	// credentialIDMax is the longest WebAuthn credential id, in bytes.
	credentialIDMax = 1023
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

	// panelPatientsMax is how many patients one search opens parts of: a
	// clinic's list for a day, ten times over.
	panelPatientsMax = 512
	// panelAtOnce is how many of them are opened at the same time.
	panelAtOnce = 8
	// panelBytesMax is how many bytes of such parts one session keeps, and
	// panelBytesAll all sessions together, their indexes counted.
	panelBytesMax = 512 << 20
	panelBytesAll = 2 << 30

	// pauseLife is how long the page of a patient at whom keepers hold a session
	// back serves, from the last refusal on: a colleague has to be found.
	pauseLife = 30 * time.Minute
	// pausesMax and pausesOfOneMax are how many such pages there are, and how many
	// one person has: the newest patients.
	pausesMax      = 2048
	pausesOfOneMax = 8
	// clinicianNameMax is the longest name of a colleague that is shown, in bytes.
	clinicianNameMax = 120
	// jobsMax and jobsAllMax are how many bulk jobs one session, and all of
	// them, may have open.
	jobsMax    = 4
	jobsAllMax = 64
	// jobProblemsMax is how many problems one bulk job lists.
	jobProblemsMax = 10_000
	// exportPatients is how many patients share the files of an export: fewer
	// than chartsMax, so that all of them are in memory while a file streams.
	exportPatients = 8
	// importPartMax caps one part of an import, in bytes.
	importPartMax = 16 << 20
	// importPartsMax, importEntriesMax and importWaiting bound the parts of an
	// import, the resources of one, and how many are worked on at once: each
	// lies in memory until it is sealed.
	importPartsMax   = 10_000
	importEntriesMax = 20_000
	importWaiting    = 2
	// importAtOnce is how many resources are written as one batch.
	importAtOnce = 256

	// subscriptionsMax and subscriptionsAllMax are how many subscriptions one
	// session, and all of them, may have; each looks at its charts every lease.
	subscriptionsMax    = 16
	subscriptionsAllMax = 512
	// watchedMax is how many patients one subscription watches: all of their
	// charts are in memory together.
	watchedMax = 8
	// heartbeatMin is the shortest heartbeat of a subscription.
	heartbeatMin = 10 * time.Second
	// headersMax and headerBytesMax bound what a subscription sends along.
	headersMax     = 16
	headerBytesMax = 4 << 10
	// addressesMax is how many addresses are remembered for their rate; the
	// others share one.
	addressesMax = 4096
	// streamWait is how long one write of a streamed answer may take.
	streamWait = 30 * time.Second
	// historyFresh is how long what the ledgers said of a patient's disclosures
	// is shown again without asking, so that paging asks once.
	historyFresh = 20 * time.Second

	// sweepInterval is how often what has expired is dropped from memory even
	// if nobody asks for it.
	sweepInterval = 15 * time.Second
	// checkpointWait is how long an offer waits for the keepers' checkpoints.
	checkpointWait = 3 * time.Second
)

// Bounds of large objects.
const (
	// objectBytesMax is the largest object unless the settings say otherwise,
	// in bytes: a long film; a CT series is some GB.
	objectBytesMax = 8 << 30
	// objectJSONMax is the largest object that is also given as FHIR JSON, in
	// bytes: what a record may hold.
	objectJSONMax = 16 << 20
	// streamsMax is how many objects come in or go out at once; each holds
	// some three parts.
	streamsMax = 8
	// stallTime is how long a client may take to send a part, or to take
	// streamChunk, all pauses of this gateway aside: 17 kB/s.
	stallTime = 60 * time.Second
	// streamChunk is how much is written to a client under one deadline.
	streamChunk = 256 << 10
	// uploadLife is how long an upload that nobody goes on with is kept.
	uploadLife = 7 * 24 * time.Hour
	// uploadsMax is how many uploads are kept at once; an empty one costs its
	// client nothing.
	uploadsMax = 1024
	// uploadFileMax bounds the state of one upload, in bytes: a frame of some
	// 250 bytes for each part.
	uploadFileMax = 64 << 20
)
