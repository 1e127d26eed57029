// Package callback is the language of WeChat's own pushes (消息推送): it tells whether a request is WeChat's, opens it,
// reads the order events of 物流助手 out of it, and writes the replies that they want. It keeps nothing and serves
// nothing: the caller brings the request and the time, and what a push leads to is the caller's.
//
//	keys.go        [Keys]: what one account's pushes are verified and decrypted with
//	crypto.go      signatures and AES, as WeChat has them
//	query.go       the parameters of a push
//	envelope.go    [Keys.Verify] and [Keys.Open]: from a request to a [Message]
//	node.go        one small tree for both formats; xml.go and json.go read strictly into it
//	fields.go      picks typed values from the tree; what doesn't fit is a [Fault]
//	events.go      [Message.Decode]: the events with the documents' own fields
//	resultcode.go  [ResultCode]: what a reply says
//	component.go   [Message.Component]: pushes to a third-party platform
//	eventtext.go   what logs may hold of them
//	reply.go       [Message.Reply]: replies in the format, and under the key, of their request; write.go writes them
//	secret.go      [Secret]: Tokens and passwords that can't be printed
//
// # Modes
//
//	mode        body                           signed                     taken when
//	plain       the message                    timestamp, nonce           no AES key is set
//	compatible  the message, and Encrypt       timestamp, nonce, Encrypt  always; with a key only Encrypt is read
//	safe        Encrypt                        timestamp, nonce, Encrypt  an AES key is set
//
// Without an AES key the plain fields count, in compatible mode too, and the body is signed by nobody: whoever has seen
// one query can send any body with it, as long as the timestamp is fresh. With a key, only what was encrypted with it is taken. What isn't covered by msg_signature is
// not used: the openid of the query, the signature beside msg_signature, and all fields beside Encrypt.
//
// The security of a push rests on the Token. Encryption here has no checksum of its own (CBC), so somebody who knows
// the Token but not the key can still spoil parts of a message; a Token that leaked must be changed.
//
// Source: WeChat 小程序, 消息推送 and 消息加解密; 物流助手, 运力方使用, the pages of the single events.
package callback
