package config

// componentPath is the part of /wechat/.../callback at which a third-party platform's pushes come in, so that no
// account can have it beside one.
const componentPath = "component"

// merchants checks the business side's credentials.
func (k *checker) merchants() {
	names, shops := unique{}, unique{}
	for i, m := range k.c.Merchants {
		at := index("merchants", i)
		k.name(at+".name", m.Name, "a name of your own")
		if names.claim(m.Name, at) != "" && m.Name != "" {
			k.bad(at+".name", "%q is used twice; give each merchant its own", m.Name)
		}
		if m.Authorizer {
			k.authorizer(at, m)
		} else {
			k.credentials(at, m.AppID, m.Secret, m.TokenMode)
			k.ownTokens(at, m)
		}
		k.shops(at, m, shops)
	}
}

// ownTokens checks what a merchant has that brings its own credentials.
func (k *checker) ownTokens(at string, m Merchant) {
	if m.RefreshToken != "" {
		k.bad(at+".refresh_token", "is used only by merchants of a third-party platform; set authorizer: true, or remove it")
	}
	k.baseURL(at+".base_url", m.BaseURL, k.cloud(at, m.CloudTokenFile, m.TokenMode))
}

// cloud checks the file of a container's access_token, and returns the token_mode that says whether calls carry a
// credential.
func (k *checker) cloud(at, file, mode string) string {
	switch {
	case file == "":
		return mode
	case mode != TokenNone:
		k.bad(at+".cloud_token_file", "is used only with token_mode: none; set that, or remove it")
	}
	return TokenStable
}

// authorizer checks a merchant whose access_tokens come by way of the platform.
func (k *checker) authorizer(at string, m Merchant) {
	if k.c.Platform.AppID == "" {
		k.bad(at+".authorizer", "needs the third-party platform that the merchant has authorised; fill in platform.appid and what belongs to it")
	}
	if m.AppID == "" {
		k.bad(at+".appid", "is missing; write the AppID of the merchant that has authorised the platform")
	}
	if m.Secret != "" {
		k.bad(at+".secret", "has no use beside authorizer: true; remove one of them")
	}
	if m.TokenMode != TokenStable {
		k.bad(at+".token_mode", "has no use beside authorizer: true; remove it")
	}
	if m.CloudTokenFile != "" {
		k.bad(at+".cloud_token_file", "has no use beside authorizer: true; remove it")
	}
	k.appID(at+".appid", m.AppID)
	k.baseURL(at+".base_url", m.BaseURL, TokenStable)
}

// shops checks that an order's ShopAppID leads to one merchant.
func (k *checker) shops(at string, m Merchant, shops unique) {
	claim := func(key, appid string) {
		if first := shops.claim(appid, key); first != "" && appid != "" {
			k.bad(key, "%q is at %s already, so it would not be clear whose credentials are to be used; keep one", appid, first)
		}
	}
	claim(at+".appid", m.AppID)
	for j, appid := range m.ShopAppIDs {
		key := index(at+".shop_appids", j)
		if appid == m.AppID {
			continue
		}
		if appid == "" {
			k.bad(key, "is empty; write an AppID, or remove it")
		}
		k.appID(key, appid)
		claim(key, appid)
	}
}

// platform checks the third-party platform, if there is one.
func (k *checker) platform() {
	p := k.c.Platform
	if p.AppID == "" {
		if p.Secret != "" || p.Callback != (Callback{}) {
			k.bad("platform.appid", "is missing; write the platform's component_appid, or remove the section")
		}
		return
	}
	k.appID("platform.appid", p.AppID)
	if p.Secret == "" {
		k.bad("platform.secret", "is missing; give secret or secret_file: the component_appsecret")
	}
	k.baseURL("platform.base_url", p.BaseURL, TokenStable)
	k.callback("platform.callback", p.Callback)
	if p.Callback.EncodingAESKey == "" && p.Callback.PreviousEncodingAESKey == "" { // Else it was said already.
		k.bad("platform.callback.encoding_aes_key", "is missing; without token and key no component_verify_ticket can be taken, and without that there are no access_tokens")
	}
	for i, a := range k.c.Accounts {
		if a.DeliveryID == componentPath {
			k.bad(index("accounts", i)+".delivery_id", "%q is the address of the platform's callback; choose another id", a.DeliveryID)
		}
	}
}
