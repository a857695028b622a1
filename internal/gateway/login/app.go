package login

// AppRequest is POST /apps/request: the code that the page shows.
type AppRequest struct {
	Code string `json:"code"`
}

// AppAsk is the answer to it: what an app asks for, for the person's device to
// show, and an offer of a session to lend for it.
type AppAsk struct {
	App     string   `json:"app"`  // client_id
	Name    string   `json:"name"` // for people
	Answer  string   `json:"answer"`
	Scope   string   `json:"scope"`             // the most it can be given
	Words   []string `json:"words"`             // the same in plain words
	Proof   bool     `json:"proof"`             // it proves at each request that it holds a key
	Patient string   `json:"patient,omitempty"` // of a launch: whose record it was opened from, act1...
	Person  string   `json:"person,omitempty"`  // of a launch: who opened it and alone can approve it, act1...
	Expires int64    `json:"expires"`           // until when it can be approved, unix seconds
	Offer   Offer    `json:"offer"`
}

// AppApproval is POST /apps/approve: a session lent for one app.
type AppApproval struct {
	Code       string     `json:"code"`
	Scope      string     `json:"scope"`               // what the person allows, of what was asked
	Patient    string     `json:"patient,omitempty"`   // whose record it is about, act1...; of a launch it is known
	PatientID  string     `json:"patientId,omitempty"` // that patient's FHIR id, as the device knows it
	Completion Completion `json:"completion"`
}

// AppGiven is the answer to it.
type AppGiven struct {
	Scope   string `json:"scope"`   // what the app was given
	Expires int64  `json:"expires"` // unix seconds
}

// AppLaunch is POST /apps/launch: a clinician opens an app on a patient.
type AppLaunch struct {
	App       string `json:"app"`
	PatientID string `json:"patientId"` // FHIR id
}

// AppLaunched is the answer to it: where a browser has to go.
type AppLaunched struct {
	URL     string `json:"url"`
	Expires int64  `json:"expires"`
}

// ServiceLoan is POST /apps/lend: a session lent in advance to a backend
// service, in answer to an offer of POST /login/offer.
type ServiceLoan struct {
	App        string     `json:"app"`
	Scope      string     `json:"scope"`
	Completion Completion `json:"completion"`
}
