package abaton

import "time"

// Every maximum of protocol version 1, its unit and why that number.
const (
	// BatchRecordsMax is how many records one HEAD may seal: a u64 bitmap
	// names any subset.
	BatchRecordsMax = 64
	// RequestRowsMax is how many (batch, bitmap) rows one request may name;
	// a chart of a thousand records needs 16.
	RequestRowsMax = 64
	// RequestRecordsMax bounds the records one request may release, so that
	// one reply stays a few megabytes.
	RequestRecordsMax = RequestRowsMax * BatchRecordsMax
	// KeepersMax is the most keepers a set may have.
	KeepersMax = 16
	// RecordBytesMax is the largest decompressed record; larger objects are
	// chains of records.
	RecordBytesMax = 16 << 20
	// ExpansionMax bounds decompression: rawlen over complen. The best
	// ratio of real charts is below 100.
	ExpansionMax = 1000
	// EventBytesMax is the largest key-log event: an inception with 32
	// segments (1,216 B each) and 16 grants.
	EventBytesMax = 128 << 10
	// EventsPerMessageMax bounds one post of events or certificates.
	EventsPerMessageMax = 256
	// LogEventsMax is how many events one key log may have: beyond it nothing
	// more is given, beyond twice as many nothing more taken away. A patient
	// with a grant and a revocation every week fills it in 150 years.
	LogEventsMax = 16384
	// LinesMax is how many lines one actor may have.
	LinesMax = 32
	// GrantLinesMax is how many lines one grant may name.
	GrantLinesMax = LinesMax
	// PurposesMax is how many purposes one grant may name.
	PurposesMax = 8
	// ControlBodyMax caps the body of every keeper route but deposits and
	// feeds, in bytes.
	ControlBodyMax = 1 << 20
	// DepositBodyMax caps one deposit in bytes: 64 records of the largest
	// ordinary size, or one of RecordBytesMax at k = 3.
	DepositBodyMax = 24 << 20
	// ReplyBodyMax caps what a reader accepts from one keeper, in bytes.
	ReplyBodyMax = 64 << 20
	// DepthMax is how deep CBOR may nest.
	DepthMax = 8
	// ElementsMax is how many elements one CBOR array or map may have.
	ElementsMax = 65536
	// NoticesMax is how many notices one list reply may hold; a cursor
	// continues.
	NoticesMax = 1024
	// PolicyBytesMax is the longest policy text of an organisation, in bytes; it
	// fits an event.
	PolicyBytesMax = 64 << 10
	// DisclosuresMax is how many entries one history reply may hold.
	DisclosuresMax = 1024
	// EmergencyPersonMax is how many emergency openings one keeper allows one
	// clinician in 24 h: two an hour through half a shift.
	EmergencyPersonMax = 12
	// EmergencyPatientMax is how many times in 24 hours one keeper lets one
	// clinician open sets of one patient, again while the right lasts included.
	EmergencyPatientMax = 64
	// EmergencyDeviceMax is the same for one device that a shift shares.
	EmergencyDeviceMax = 24
	// EmergencyOrganisationMax is the same for one organisation: it bounds what
	// a hospital in a thief's hands opens. The busiest departments see 400
	// patients a day, most of them awake.
	EmergencyOrganisationMax = 100
	// CustodyPersonMax is how many roots in custody one keeper lets one team
	// member open in 24 h.
	CustodyPersonMax = 100
	// CustodyOrganisationMax is the same for one organisation: the patients of
	// a busy day, not of a year.
	CustodyOrganisationMax = 1000
)

// Times of protocol version 1.
const (
	// ClockSkewMax is how far a request's time may be from the keeper's
	// clock.
	ClockSkewMax = 120 * time.Second
	// ClockDoubtMax is how far a keeper's clock may be from the median of its
	// peers' before it opens no sessions, widens nothing and releases nothing
	// of assurance level 3. Beyond ClockSkewMax it answers nothing.
	ClockDoubtMax = ClockSkewMax / 2
	// NonceLife is how long a keeper remembers a request; longer than twice
	// ClockSkewMax.
	NonceLife = 10 * time.Minute
	// CheckpointAgeMax is how old a checkpoint named by a session may be
	// when the session starts.
	CheckpointAgeMax = 10 * time.Minute
	// PatientSessionMax bounds a patient's session.
	PatientSessionMax = 15 * time.Minute
	// ClinicianSessionMax bounds a clinician's session statement; the
	// passkey is asserted again each hour (RULINGS 13).
	ClinicianSessionMax = time.Hour
	// GatewayAccessMax bounds what `abaton login` hands to a FHIR client.
	GatewayAccessMax = time.Hour
	// GrantLifeMax bounds a grant.
	GrantLifeMax = 366 * 24 * time.Hour
	// DormantLifeMax bounds a grant that opens in a case only: made once in a
	// life, looked at again every few years.
	DormantLifeMax = 30 * 366 * 24 * time.Hour
	// LeaseMax is how long a keeper answers without having heard two other
	// keepers' statement feeds.
	LeaseMax = 60 * time.Second
	// FeedInterval is how often a keeper pulls its peers' feeds: well within the
	// 20 s lease of assurance level 3 (docs/adr/0008).
	FeedInterval = 5 * time.Second
	// ResignInterval is how often a keeper signs its checkpoint anew.
	ResignInterval = time.Minute
	// RecoveryWait is the least a recovery by kit or helpers waits at each
	// keeper, from when that keeper first heard of it. A keeper set may state
	// less: then it is a test network.
	RecoveryWait = 24 * time.Hour
	// EmergencyTouchMax is how old the assertion of an emergency opening may be.
	EmergencyTouchMax = time.Minute
	// EmergencyRight is how long an emergency opening lets its clinician read.
	EmergencyRight = 4 * time.Hour
	// EmergencyConfirm is within what a second clinician confirms an emergency
	// opening, or whoever opened opens nothing more in an emergency.
	EmergencyConfirm = 24 * time.Hour
	// EmergencyRoleAge is how long a keeper must have known the emergency role
	// of whoever opens. A keeper set may state less: then it is a test network.
	EmergencyRoleAge = RecoveryWait
	// EpochGrace is how long locks to the previous epoch are accepted after
	// a new one was announced without urgency.
	EpochGrace = 72 * time.Hour
)
