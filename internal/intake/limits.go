package intake

import "time"

// Every maximum of the intake, its unit and why that number.
const (
	// connectionsMax is how many senders may be connected. A hospital's
	// interface engine has one or a few for each feed.
	connectionsMax = 256
	// windowMax is how many messages of one connection are in hand at once,
	// for senders that do not wait for each answer. Answers keep the order.
	windowMax = 32
	// heldBytesMax is how many bytes of messages are in hand over all
	// connections; then nobody is read from.
	heldBytesMax = 64 << 20
	// groupMessagesMax and groupResourcesMax bound what is written in one
	// transaction: with one line it is then a single batch of 64 records with
	// its index, and needs no commit record.
	groupMessagesMax  = 24
	groupResourcesMax = 62
	// asideMax is how many messages go into the quarantine at once.
	asideMax = 32
	// unsettledMax bounds the memory of what was pending when it was
	// deferred; further messages wait.
	unsettledMax = 10_000
)

// Times of the intake.
const (
	// idleMax ends connections on which nothing came for so long; engines
	// connect again.
	idleMax = time.Hour
	// answerMax bounds the writing of one answer: a sender that does not read
	// is let go.
	answerMax = 30 * time.Second
	// fileMax bounds one attempt to find a patient or to write.
	fileMax = 25 * time.Second
	// pendingPatience is how long a group waits for a quorum that is not
	// there, before its senders are told to send again.
	pendingPatience = 10 * time.Second
	pendingPoll     = 25 * time.Millisecond
	// gatherMost is how long the first message for a patient waits for
	// others, as long as some come in each step: a feed may gather
	// (RULINGS 10).
	gatherMost = 40 * time.Millisecond
	gatherStep = 4 * time.Millisecond
	// readyPoll is how often it is asked whether senders can be let in.
	readyPoll = 50 * time.Millisecond
)
