package detect

// Hard caps. No thresholds of an organisation and nothing learned goes beyond
// them: Valid refuses, and learning is bounded by what Valid let through.
// A program's profile has its own caps: it has no hands and no shifts.
const (
	burstMax            = 30   // new patients at once
	programBurstMax     = 200  //
	everyMin            = 250  // milliseconds for each further new patient
	programEveryMin     = 10   //
	volumeMax           = 60   // patients in ten minutes
	programVolumeMax    = 600  //
	dayMax              = 400  // patients in a day
	programDayMax       = 1000 // the day of a keeper's own budget
	unrelatedHourMax    = 10   // unrelated new patients in an hour
	programHourMax      = 100
	unrelatedDayMax     = 24 // in a day
	programUnrelatedMax = 400
	unrelatedWeekMax    = 50   // in a week, before somebody looks
	programWeekMax      = 60   // twice as many are below OpensMax
	emergenciesMax      = 8    // in eight hours
	hourMax             = 120  // new patients in an hour of the clock
	programNewMax       = 1200 //
	meanMax             = 200  // tenths of new patients in an active hour
	programMeanMax      = 2000 //

	missesMax     = 16   // refusals of different patients within missSpanMax
	missSpanMin   = 60   // seconds
	missSpanMax   = 600  //
	driftSlackMax = 50   // hundredths
	driftLimitMax = 1000 // hundredths
	deviceSpanMin = 60   // seconds
	deviceSpanMax = 3600
	surpriseMin   = 30 // tenths of -log10 P: below it care is noise
	surpriseMax   = 90
	readersMax    = 6         // unrelated readers of one patient in a day
	lateMax       = 72 * 3600 // seconds until a look without a reason is listed
	stepLifeMax   = 4 * 3600  // seconds that a step-up lasts for its patient
	profilesMax   = 32        // rows of a Thresholds
)

// Bounds of memory. Over the bound of a person the level is already to
// suspend, so that what is forgotten changes nothing.
const (
	// PairsMax is how many patients of the last day are remembered for one
	// person: more than twice dayMax, from where on everything is refused.
	PairsMax = 1024
	// ProgramPairsMax is the same for a program.
	ProgramPairsMax = 2048
	// OpensMax is how many unrelated patients of the last week are remembered by
	// name for one actor, the newest.
	OpensMax = 128
	// ActorsMax is how many people and programs one keeper remembers. Whoever
	// does not fit is throttled.
	ActorsMax = 100_000
	// OrganisationActorsMax is how many of them one organisation may fill, so
	// that none crowds out another.
	OrganisationActorsMax = 20_000
	// DesksMax is how many devices of people are remembered. Beyond it a device
	// is nobody's desk.
	DesksMax = 50_000
	// PatientsMax is how many patients with an unrelated reader in the last day
	// are remembered. Beyond it every unrelated reader is stepped up.
	PatientsMax = 200_000
)
