//! The document of this API, made of the handlers' own annotations.

use utoipa::openapi::{
    ContentBuilder, InfoBuilder, OpenApi, Ref, RefOr, ResponseBuilder, SecurityRequirement,
    ServerBuilder,
    path::Operation,
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::PREFIXES;

/// The tag of what needs no token.
const OPEN: &str = "health";
const SCHEME: &str = "token";

/// Adds what every operation has in common, so that no handler repeats it.
pub(super) fn complete(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Longshore")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "A durable job host. `/health`, `/health/live` and `/health/ready` also answer at the root. \
             Unknown fields are refused. Codes of errors are in docs/http-errors.md.",
        ))
        .build();
    let servers = PREFIXES.map(|prefix| ServerBuilder::new().url(prefix).build());
    document.servers = Some(servers.into());
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.security_schemes.insert(SCHEME.to_owned(), SecurityScheme::Http(bearer).into());
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.patch];
        operations.into_iter().flatten().for_each(complete_operation);
    }
    document
}

fn complete_operation(operation: &mut Operation) {
    let error = Ref::from_schema_name("ErrorBody");
    let error = ResponseBuilder::new()
        .description("Anything else.")
        .content("application/json", ContentBuilder::new().schema(Some(error)).build())
        .build();
    operation.responses.responses.insert("default".to_owned(), RefOr::T(error));
    if operation.tags.as_ref().is_none_or(|tags| tags != &[OPEN]) {
        let none: [&str; 0] = [];
        operation.security = Some(vec![SecurityRequirement::new(SCHEME, none)]);
    }
}

/// The document of this API.
#[utoipa::path(
    get, path = "/openapi.json", tag = "host", operation_id = "get_openapi",
    responses((status = 200, description = "An OpenAPI 3.1 document.", body = Object)),
)]
pub(super) async fn get(_caller: crate::tokens::Caller) -> axum::Json<OpenApi> {
    axum::Json(super::document())
}
