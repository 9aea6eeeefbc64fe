"""Makes an AWS account in a moto server whose address is the argument, and prints its access keys as JSON.

Until the end nothing is signed for anybody in particular; from then on every signature and every right is checked. With a
second argument it prints instead what the service in that region runs.
"""

import json
import sys
import urllib.request

import boto3

ACCOUNT = "123456789012"
REGIONS = ("eu-west-3", "us-east-1")
MAY = {"Action": ["ecs:*"], "Effect": "Allow", "Resource": "*"}
MAY_TAKE_ROLES = {"Action": ["sts:AssumeRole"], "Effect": "Allow", "Resource": "*"}


def client(url, name, region="us-east-1"):
    keys = {"aws_access_key_id": "setup", "aws_secret_access_key": "setup"}
    return boto3.client(name, region_name=region, endpoint_url=url, **keys)


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def user(iam, name, *statements):
    iam.create_user(UserName=name)
    if statements:
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy(*statements))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


def services(url):
    for number, region in enumerate(REGIONS):
        ecs = client(url, "ecs", region)
        ecs.create_cluster(clusterName="shop")
        # The second region has one revision more, so that nobody can take one for the other.
        for revision in range(1, 3 + number):
            container = {"name": "web", "image": f"example/web:{revision}", "memory": 64}
            ecs.register_task_definition(family="web", containerDefinitions=[container])
        ecs.create_service(cluster="shop", serviceName="web", taskDefinition=f"web:{2 + number}", desiredCount=0)


def main(url):
    iam = client(url, "iam")
    keys = {
        "whole": user(iam, "whole", MAY),
        "nobody": user(iam, "nobody"),
        "taker": user(iam, "taker", MAY_TAKE_ROLES),
    }
    trust = {
        "Action": "sts:AssumeRole",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/taker"},
        "Condition": {"StringEquals": {"sts:ExternalId": "shop"}},
    }
    iam.create_role(RoleName="vigie", AssumeRolePolicyDocument=policy(trust))
    iam.put_role_policy(RoleName="vigie", PolicyName="own", PolicyDocument=policy(MAY))
    services(url)
    plain = {"Content-Type": "text/plain"}
    request = urllib.request.Request(f"{url}/moto-api/reset-auth", data=b"0", headers=plain, method="POST")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    print(json.dumps(keys))


def runs(url, region, key):
    keys = {"aws_access_key_id": key["id"], "aws_secret_access_key": key["secret"]}
    ecs = boto3.client("ecs", region_name=region, endpoint_url=url, **keys)
    found = ecs.describe_services(cluster="shop", services=["web"])["services"][0]
    print(found["taskDefinition"].rsplit("/", 1)[-1])


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(sys.argv[1])
    else:
        runs(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
