//! Certificates: one authority for each server, and what it issues.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the certificate of {subject}")]
pub struct CertificateError {
    /// Whose certificate.
    subject: String,
    /// Why.
    source: rcgen::Error,
}

/// A certificate and its private key, both PEM.
#[derive(Clone)]
pub(crate) struct Certified {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl std::fmt::Debug for Certified {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Certified").finish_non_exhaustive()
    }
}

/// Signs certificates. What it issues never expires: tests do not run that long.
pub(crate) struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// The subject of every authority. Fixed, so that a kept key makes the same issuer again.
    const NAME: &str = "fyr-test-authority";

    /// Makes a new one.
    pub(crate) fn generate() -> Result<Self, CertificateError> {
        let failed = |source| CertificateError { subject: Self::NAME.to_owned(), source };
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = Self::parameters().self_signed(&key).map_err(failed)?.pem();
        Ok(Self { certificate, issuer: Issuer::new(Self::parameters(), key) })
    }

    /// Takes up one that was kept as PEM; nothing when the key is not one.
    pub(crate) fn from_pem(certificate: String, key: &str) -> Option<Self> {
        let key = KeyPair::from_pem(key).ok()?;
        certificate
            .contains("-----END CERTIFICATE-----")
            .then(|| Self { certificate, issuer: Issuer::new(Self::parameters(), key) })
    }

    /// Its own certificate, which clients must trust, as PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its private key as PEM.
    pub(crate) fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Issues a certificate for a server of these DNS names and IP addresses.
    pub(crate) fn issue_server(&self, names: &[&str]) -> Result<Certified, CertificateError> {
        let subject = names.join(",");
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut parameters = CertificateParams::new(names)
            .map_err(|source| CertificateError { subject: subject.clone(), source })?;
        parameters.distinguished_name = distinguished_name("server", None);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(parameters, subject)
    }

    /// Issues a certificate that the API server takes for `user` as a member of `group`.
    pub(crate) fn issue_client(
        &self,
        user: &str,
        group: Option<&str>,
    ) -> Result<Certified, CertificateError> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = distinguished_name(user, group);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(parameters, user.to_owned())
    }

    fn issue(
        &self,
        mut parameters: CertificateParams,
        subject: String,
    ) -> Result<Certified, CertificateError> {
        parameters.use_authority_key_identifier_extension = true;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let signed = KeyPair::generate()
            .and_then(|key| parameters.signed_by(&key, &self.issuer).map(|signed| (signed, key)));
        match signed {
            Ok((certificate, key)) => {
                Ok(Certified { certificate: certificate.pem(), key: key.serialize_pem() })
            }
            Err(source) => Err(CertificateError { subject, source }),
        }
    }

    fn parameters() -> CertificateParams {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = distinguished_name(Self::NAME, None);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        parameters
    }
}

/// Makes the key pair that signs service account tokens, as PEM: (private, public).
pub(crate) fn signing_key() -> Result<(String, String), CertificateError> {
    let key = KeyPair::generate()
        .map_err(|source| CertificateError { subject: "service accounts".to_owned(), source })?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

/// The public half of a kept signing key; nothing when it is not one.
pub(crate) fn public_key(private: &str) -> Option<String> {
    KeyPair::from_pem(private).ok().map(|key| key.public_key_pem())
}

fn distinguished_name(common: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common);
    name
}
