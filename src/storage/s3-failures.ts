import type { FailureRow } from '#errors';

/**
 * Everything that S3, its imitators (Ceph RGW, MinIO), the SDK and the network are known to say, by name. The names are
 * those of the S3 API's list of error codes, of the SDK's classes and retry tables, of rgw_common.cc and of MinIO's
 * api-errors.go; a test holds them against the SDK that is installed. What is not here is judged by its status.
 */
export const S3_FAILURES: readonly FailureRow[] = [
  {
    code: 'STORE_UNAVAILABLE',
    why: 'The store asks for fewer requests.',
    says: [
      ...['SlowDown', 'SlowDownRead', 'SlowDownWrite', 'Throttling', 'ThrottlingException', 'ThrottledException'],
      ...['RequestThrottled', 'RequestThrottledException', 'RequestLimitExceeded', 'LimitExceededException'],
      ...['TooManyRequests', 'TooManyRequestsException', 'BandwidthLimitExceeded', 'EC2ThrottledException'],
      ...['ProvisionedThroughputExceededException', 'PriorRequestNotComplete', 'TransactionInProgressException'],
      'KMS.ThrottlingException',
    ],
  },
  {
    code: 'STORE_UNAVAILABLE',
    why: 'The store, or its key service, fails inside, starts, or has no quorum.',
    says: [
      ...['InternalError', 'InternalServerError', 'ServiceUnavailable', 'ServerBusy', 'Busy', 'OperationAborted'],
      ...['XMinioServerNotInitialized', 'XMinioBackendDown', 'XMinioStorageInsufficientReadQuorum'],
      ...['KMS.InternalException', 'KMS.KMSInternalException', 'KMS.UnavailableException'],
    ],
  },
  {
    code: 'STORE_UNAVAILABLE',
    why: 'No whole answer came in time, or the connection was cut.',
    says: [
      ...['RequestTimeout', 'RequestTimeoutException', 'TimeoutError', 'AbortError', 'ClientDisconnected'],
      ...['ETIMEDOUT', 'ESOCKETTIMEDOUT', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'EPROTO'],
      ...['ERR_STREAM_PREMATURE_CLOSE', 'ERR_HTTP2_STREAM_ERROR', 'HPE_INVALID_CONSTANT', 'HPE_CR_EXPECTED'],
      ...['HPE_INVALID_VERSION', 'HPE_INVALID_HEADER_TOKEN', 'HPE_INVALID_STATUS', 'HPE_INVALID_EOF_STATE'],
      ...['HPE_INVALID_CONTENT_LENGTH', 'HPE_HEADER_OVERFLOW'],
    ],
  },
  {
    code: 'STORE_UNAVAILABLE',
    why: 'Nobody answers at the address, or the network does not lead there.',
    says: [
      ...['ECONNREFUSED', 'EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ENETDOWN', 'ENOTFOUND', 'EAI_AGAIN'],
      ...['EAI_FAIL', 'EADDRNOTAVAIL', 'EMFILE', 'ENFILE', 'TemporaryRedirect'],
    ],
  },
  {
    code: 'STORE_UNAVAILABLE',
    why: "The store's certificate is not trusted, or past its time: nothing is wrong with the file, and renewing it is enough.",
    says: [
      ...['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID', 'CERT_UNTRUSTED', 'DEPTH_ZERO_SELF_SIGNED_CERT'],
      ...['SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'],
      ...['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'ERR_TLS_CERT_ALTNAME_INVALID', 'CERT_REVOKED', 'CERT_SIGNATURE_FAILURE'],
    ],
  },
  {
    code: 'STORE_CREDENTIALS_EXPIRED',
    why: 'Newer credentials were asked for already and did not come (s3-mending.ts).',
    says: ['ExpiredToken', 'ExpiredTokenException', 'TokenRefreshRequired', 'CredentialsProviderError'],
  },
  {
    code: 'STORE_CLOCK_SKEWED',
    why: 'The SDK corrects its clock by the answer and repeats; this is what is left when that did not help.',
    says: ['RequestTimeTooSkewed', 'RequestExpired', 'RequestInTheFuture'],
  },
  {
    code: 'STORE_FULL',
    why: 'A quota, or the disks behind it.',
    says: [
      ...['InsufficientCapacity', 'QuotaExceeded', 'XMinioStorageFull', 'XMinioAdminBucketQuotaExceeded'],
      ...['XMinioStorageInsufficientWriteQuorum', 'InsufficientStorage'],
    ],
  },
  {
    code: 'STORE_ACCESS_DENIED',
    why: 'Rights, account or keys: a person must change them.',
    says: [
      ...['AccessDenied', 'AccessDeniedException', 'AuthFailure', 'AllAccessDisabled', 'AccountProblem', 'Forbidden'],
      ...['InvalidAccessKeyId', 'InvalidToken', 'InvalidTokenId', 'InvalidSecurity', 'NotSignedUp', 'NoSuchUser'],
      ...['SignatureDoesNotMatch', 'InvalidSignatureException', 'UserSuspended', 'InvalidPayer'],
      ...['KMS.DisabledException', 'KMS.NotFoundException', 'KMS.KMSInvalidStateException', 'KMSNotConfigured'],
    ],
  },
  { code: 'STORE_BUCKET_MISSING', why: 'S3_BUCKET names none.', says: ['NoSuchBucket', 'InvalidBucketName'] },
  { code: 'NOT_FOUND', why: 'There is no such object.', says: ['NoSuchKey', 'NoSuchVersion', 'NotFound'] },
  { code: 'RANGE_NOT_SATISFIABLE', why: 'The range lies outside the object.', says: ['InvalidRange'] },
  {
    code: 'STORE_FAILED',
    why: 'Bytes were damaged or cut on the way: the checksum that goes along with them found it.',
    says: [
      ...['BadDigest', 'InvalidDigest', 'IncompleteBody', 'XAmzContentSHA256Mismatch', 'XAmzContentChecksumMismatch'],
      'XMinioObjectTampered',
    ],
  },
  {
    code: 'STORE_FAILED',
    why: 'A multipart upload that vanished, or parts of it: the next try begins it anew.',
    says: ['NoSuchUpload', 'InvalidPart', 'InvalidPartOrder', 'ConditionalRequestConflict', 'InvalidWriteOffset'],
  },
  {
    code: 'STORE_REJECTED',
    why: 'The store cannot do this at all.',
    says: ['NotImplemented', 'UnsupportedMediaType', 'UnsupportedArgument', 'MethodNotAllowed'],
  },
  {
    code: 'STORE_REJECTED',
    why: 'The bucket is elsewhere, and where it says was tried already (s3-mending.ts).',
    says: [
      ...['PermanentRedirect', 'Redirect', 'AuthorizationHeaderMalformed', 'AuthorizationQueryParametersError'],
      ...['IllegalLocationConstraintException', 'InvalidLocationConstraint', 'InvalidRegion'],
    ],
  },
  {
    code: 'STORE_REJECTED',
    why: 'Of this size or shape the store takes none.',
    says: [
      ...[
        'EntityTooLarge',
        'EntityTooSmall',
        'MetadataTooLarge',
        'InlineDataTooLarge',
        'KeyTooLongError',
        'InvalidURI',
      ],
      ...['MaxMessageLengthExceeded', 'MaxPostPreDataLengthExceededError', 'RequestHeaderSectionTooLarge'],
      ...['TooManyParts', 'AnnotationLimitExceeded', 'AnnotationNameTooLong', 'InvalidAnnotationName'],
      ...['InvalidObjectName', 'XMinioInvalidObjectName', 'XMinioParentIsObject'],
    ],
  },
  {
    code: 'STORE_REJECTED',
    why: 'The request is not one that this store, or this state of bucket or object, takes.',
    says: [
      ...['InvalidRequest', 'InvalidArgument', 'InvalidPrefix', 'InvalidStorageClass', 'InvalidObjectState'],
      ...['InvalidBucketState', 'InvalidEncryptionAlgorithmError', 'EncryptionTypeMismatch', 'PreconditionFailed'],
      ...['IdempotencyParameterMismatch', 'ObjectAlreadyInActiveTierError', 'ObjectNotInActiveTierError'],
      ...['RestoreAlreadyInProgress', 'BucketAlreadyExists', 'BucketAlreadyOwnedByYou', 'BucketNotEmpty'],
      ...['TooManyBuckets', 'NoSuchAnnotation', 'Locked', 'ObjectLockConfigurationNotFoundError', 'RequestIsTooLarge'],
      ...[
        'NoSuchBucketPolicy',
        'NoSuchLifecycleConfiguration',
        'NoSuchCORSConfiguration',
        'NoSuchObjectLockConfiguration',
      ],
      ...['ServerSideEncryptionConfigurationNotFoundError', 'NoLoggingStatusForKey', 'NoSuchWebsiteConfiguration'],
      ...['IllegalVersioningConfigurationException', 'InvalidTargetBucketForLogging', 'CrossLocationLoggingProhibited'],
    ],
  },
  {
    code: 'STORE_REJECTED',
    why: 'The form of the request: the SDK writes it, so that a repetition is the same.',
    says: [
      ...[
        'MalformedXML',
        'MalformedACLError',
        'MalformedPOSTRequest',
        'InvalidPolicyDocument',
        'InvalidAddressingHeader',
      ],
      ...['InvalidSOAPRequest', 'MissingAttachment', 'MissingContentLength', 'MissingRequestBodyError'],
      ...['MissingSecurityElement', 'MissingSecurityHeader', 'RequestIsNotMultiPartContent', 'UnexpectedContent'],
      ...['IncorrectNumberOfFilesInPostRequest', 'RequestTorrentOfBucketError', 'UserKeyMustBeSpecified'],
      ...['AmbiguousGrantByEmailAddress', 'UnresolvableGrantByEmailAddress', 'CredentialsNotSupported'],
    ],
  },
];

/** What an HTTP status says when the name does not. Any other of 500 and above is `STORE_UNAVAILABLE`. */
export const S3_STATUSES: readonly FailureRow[] = [
  { code: 'STORE_ACCESS_DENIED', why: 'A refusal without words, as HEAD has it.', says: ['401', '403'] },
  { code: 'NOT_FOUND', why: 'There is no such object.', says: ['404'] },
  { code: 'RANGE_NOT_SATISFIABLE', why: 'The range lies outside the object.', says: ['416'] },
  {
    code: 'STORE_REJECTED',
    why: 'The store, or what stands before it, does not do this.',
    says: ['405', '411', '501'],
  },
  { code: 'STORE_FULL', why: 'As WebDAV names it, and MinIO.', says: ['507'] },
  { code: 'STORE_UNAVAILABLE', why: 'It asks for patience.', says: ['408', '425', '429'] },
  {
    code: 'STORE_UNAVAILABLE',
    why: "A proxy's own words in the store's place, whatever their status (s3-answers.ts).",
    says: ['a page'],
  },
  { code: 'STORE_UNAVAILABLE', why: 'The store, or what stands before it, fails.', says: ['500', '502', '503', '504'] },
];
