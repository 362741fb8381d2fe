// Package model is a Promela model of the protocol (docs/protocol.md) that the spin model
// checker searches exhaustively; README.md says what is modelled and what was found. Its
// tests keep the model in step with the code, and run the checker if told to.
package model
