package understudy

import "time"

// Statement is what a server says of its own part in one camera to somebody who
// asks. Clients ask for it when their picture stands still and no management
// server tells them who holds the camera: the highest epoch is the newest.
type Statement struct {
	Server ServerID `json:"server"`
	Camera CameraID `json:"camera"`
	// Epoch is 0 when the server does not serve the camera.
	Epoch uint64 `json:"epoch" doc:"Under which the server serves the camera; 0: it does not"`
	// Receiving: a picture came from the camera within the last seconds, and the
	// server shows it to whoever may see it.
	Receiving bool      `json:"receiving" doc:"It has the camera's picture now and shows it"`
	At        time.Time `json:"at" doc:"The server's own wall clock"`
	// Nonce is the asker's: what was said to another question proves nothing.
	Nonce string `json:"nonce"`
}

// SignedStatement is a Statement in the words of the server that it names,
// whoever passes it on. The identity package signs and verifies it.
type SignedStatement struct {
	Statement    []byte   `json:"statement"`    // the JSON that was signed
	Certificates [][]byte `json:"certificates"` // DER; the server's own first
	Signature    []byte   `json:"signature"`    // ECDSA over P-256 and SHA-256, ASN.1
}
